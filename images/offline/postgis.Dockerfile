# A stand-in for postgis/postgis:15-3.3: Debian's PostGIS on postgres:15, with the extensions created at the first start.
ARG BASE
FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends "postgresql-$PG_MAJOR-postgis-3" "postgresql-$PG_MAJOR-postgis-3-scripts" \
 && rm -rf /var/lib/apt/lists/*
COPY postgis-init.sh /docker-entrypoint-initdb.d/10_postgis.sh
