# Landfall as an image: `docker build -t landfall .`, then
#   docker run --init -p 8080:8080 -v landfall:/var/lib/landfall -v ./etc:/etc/landfall:ro landfall
# where ./etc holds landfall.toml and the files with secrets that it names, which the user 10001 has to be able to read:
# `chown -R 10001 etc` and mode 0600 for the secrets.
#
# The host engine deploys inside of the container, and a restart of the container ends a running deployment (which is
# told): run the binary on the machine itself for that, and the image for CodeDeploy targets.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /landfall
# The dependencies alone first: they are built again only when the lock file changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo '//! Nothing yet.' | tee src/lib.rs > src/main.rs && echo 'fn main() {}' >> src/main.rs \
    && cargo build --locked --profile dist --bin landfall
COPY config config
COPY src src
# Copied files may be older than what was just built of the empty ones.
RUN touch src/main.rs src/lib.rs && cargo build --locked --profile dist --bin landfall

FROM debian:bookworm-slim
# git reads git sources; ca-certificates are what GitHub and AWS are known by.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /var/lib/landfall --shell /usr/sbin/nologin landfall
COPY --from=build /landfall/target/dist/landfall /usr/local/bin/landfall
USER landfall
# These win over the configuration file, so that the same file serves outside of a container too.
ENV LANDFALL_CONFIG=/etc/landfall/landfall.toml LANDFALL_DATA_DIR=/var/lib/landfall LANDFALL_LISTEN=0.0.0.0:8080
# glibc keeps room for each thread apart, and what was freed for later: a burst of pushes would be resident for days.
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072 MALLOC_TRIM_THRESHOLD_=131072
VOLUME /var/lib/landfall
EXPOSE 8080
# The binary asks the server beside it, as the configuration says: there is no curl in the image.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["landfall", "status"]
ENTRYPOINT ["landfall"]
CMD ["serve"]
