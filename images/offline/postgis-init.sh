#!/bin/sh
# At the first start: the extensions that the official PostGIS image is born with, in the database and in a template.
set -eu
psql -X -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c 'CREATE DATABASE template_postgis IS_TEMPLATE true'
for database in template_postgis "$POSTGRES_DB"; do
  for extension in postgis postgis_topology fuzzystrmatch postgis_tiger_geocoder; do
    psql -X -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$database" -c "CREATE EXTENSION IF NOT EXISTS $extension"
  done
done
