#!/bin/sh
# The app's own user: a backup holds no users of MongoDB, and a new server makes them as the old one did.
mongosh --quiet --norc --eval "db.getSiblingDB('events').createUser({user: 'app', pwd: 'app', roles: [
  {role: 'readWrite', db: 'events'}, {role: 'readWrite', db: 'audit'}, {role: 'backup', db: 'admin'}, {role: 'clusterMonitor', db: 'admin'}]})"
