//go:build tools

package main

// Named here so that go.mod and go.sum cover what the tools need.
import (
	_ "github.com/mongodb/mongo-tools/mongodump/main"
	_ "github.com/mongodb/mongo-tools/mongorestore/main"
)
