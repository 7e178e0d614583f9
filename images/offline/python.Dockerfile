# A stand-in for python:3.13-slim-trixie: Debian's Python where the official image has its own.
ARG BASE
FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends netbase python3 python3-pip python3-venv tzdata \
 && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED \
 && for name in python python3 python3.13; do ln -s /usr/bin/python3.13 "/usr/local/bin/$name"; done \
 && for name in pip pip3; do ln -s /usr/bin/pip3 "/usr/local/bin/$name"; done
ENV LANG=C.UTF-8
CMD ["python3"]
