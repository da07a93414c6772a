# syntax=docker/dockerfile:1
# Landfall as an image: build it with `docker build -t landfall .`, then
#   docker run -p 8080:8080 -v landfall:/var/lib/landfall -v ./landfall.toml:/etc/landfall/landfall.toml:ro landfall
# The configuration's `listen` has to be 0.0.0.0:8080 in a container, or nobody outside reaches it.
#
# In a container the host engine deploys inside of the container, and a restart ends a running deployment (which is
# told): use it with CodeDeploy targets, or run the binary on the machine itself.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /landfall
# The dependencies alone first: they are built again only when the lock file changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo build --locked --profile dist && rm -rf src target/dist/landfall* target/dist/deps/*landfall* target/dist/.fingerprint/landfall*
COPY src src
COPY config config
RUN cargo build --locked --profile dist

FROM debian:bookworm-slim
# git reads git sources; ca-certificates are what GitHub and AWS are known by.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/landfall --shell /usr/sbin/nologin landfall
COPY --from=build /landfall/target/dist/landfall /usr/local/bin/landfall
USER landfall
VOLUME /var/lib/landfall
EXPOSE 8080
# The binary asks its own server: no curl in the image.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["landfall", "status", "--url", "http://127.0.0.1:8080", "--ready"]
# The bot starts programs: an init reaps what they leave behind where `--init` was forgotten.
ENTRYPOINT ["landfall"]
CMD ["serve", "-c", "/etc/landfall/landfall.toml"]
