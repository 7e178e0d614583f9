// mongosh stands in for MongoDB's shell where no real one can be had. It has no JavaScript: it knows the few
// expressions that health checks and first starts are made of, runs each as the command it stands for, and
// refuses every other.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
)

var known = map[string]bson.D{
	"db.adminCommand('ping').ok": {{Key: "ping", Value: 1}},
	"db.runCommand('ping').ok":   {{Key: "ping", Value: 1}},
	"db.hello().ok":              {{Key: "hello", Value: 1}},
	"rs.status().ok":             {{Key: "replSetGetStatus", Value: 1}},
	"rs.initiate().ok":           {{Key: "replSetInitiate", Value: bson.D{}}},
	// Used by the entry point alone: the user comes from the environment, never from an argument.
	"create-root": {
		{Key: "createUser", Value: os.Getenv("MONGO_INITDB_ROOT_USERNAME")},
		{Key: "pwd", Value: os.Getenv("MONGO_INITDB_ROOT_PASSWORD")},
		{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "root"}, {Key: "db", Value: "admin"}}}},
	},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mongosh:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	uri := "mongodb://127.0.0.1:27017"
	expression := "db.adminCommand('ping').ok"
	login := options.Credential{AuthSource: "admin"}
	for i := 0; i < len(args); i++ {
		value := func() string { i++; return append(args, "")[min(i, len(args))] }
		switch arg := args[i]; {
		case strings.HasPrefix(arg, "mongodb://"):
			uri = arg
		case arg == "--eval":
			expression = value()
		case arg == "-u" || arg == "--username":
			login.Username = value()
		case arg == "-p" || arg == "--password":
			login.Password = value()
		case arg == "--authenticationDatabase":
			login.AuthSource = value()
		case arg == "--version":
			fmt.Println("stand-in without JavaScript")
			return nil
		case arg == "--quiet" || arg == "--norc":
		default:
			return fmt.Errorf("this stand-in does not know %q", arg)
		}
	}
	command, ok := known[strings.TrimSuffix(strings.ReplaceAll(strings.TrimSpace(expression), `"`, `'`), ";")]
	if !ok {
		return fmt.Errorf("this stand-in has no JavaScript and does not know %q", expression)
	}

	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	settings := options.Client().ApplyURI(uri).SetDirect(true).SetServerSelectionTimeout(10 * time.Second)
	if login.Username != "" {
		settings.SetAuth(login)
	}
	client, err := mongo.Connect(ctx, settings)
	if err != nil {
		return err
	}
	if err := client.Database("admin").RunCommand(ctx, command).Err(); err != nil {
		return err
	}
	fmt.Println(1)
	return nil
}
