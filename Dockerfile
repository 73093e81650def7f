# syntax=docker/dockerfile:1
# The server alone on a base without shell or package manager. Needs BuildKit, for its caches.

ARG RUST_VERSION=1.95
# Another name, or the same by its digest: docs/operations.md says how.
ARG BUILD_IMAGE=rust:${RUST_VERSION}-slim-trixie
# The same Debian as trixie, whose C library is the one that is linked against.
ARG BASE_IMAGE=gcr.io/distroless/cc-debian13:nonroot

FROM ${BUILD_IMAGE} AS build
ARG TARGETARCH
WORKDIR /source
COPY Cargo.toml Cargo.lock build.rs ./
COPY benches benches
COPY examples/data examples/data
COPY models models
COPY proto proto
COPY src src
# The caches keep the dependencies from build to build. They are part of no image, so the binary
# is copied out. Our own crate is always built: cargo goes by the times of files, and those of
# another clone may be older than what it built last.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,sharing=locked,id=bellwether-target-${TARGETARCH} \
    touch build.rs src/lib.rs src/main.rs \
    && cargo build --locked --release --bin bellwether \
    && cp target/release/bellwether /bellwether \
    && mkdir /store

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="bellwether" \
    org.opencontainers.image.description="Social and lead scoring over gRPC: exact, fading, explained scores inside an open request" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.source="${SOURCE}" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=build /bellwether /usr/local/bin/bellwether
# Where the embedded store writes when nothing else is set. A volume that is mounted here for the
# first time takes its owner over.
COPY --from=build --chown=65532:65532 /store /var/lib/bellwether
ENV BELLWETHER_STORE=/var/lib/bellwether
# In numbers, because Kubernetes cannot tell whether a name is root.
USER 65532:65532
WORKDIR /home/nonroot
# An address of the container alone would reach nobody. The server does not start on this one until
# it is given a certificate (BELLWETHER_TLS_CERT, BELLWETHER_TLS_KEY), or is told that something in
# front of it encrypts (BELLWETHER_ALLOW_PLAINTEXT=true); and until it is given keys of callers
# (BELLWETHER_KEYS), or is told that trusted ones alone reach it (BELLWETHER_ALLOW_ANONYMOUS=true).
ENV BELLWETHER_LISTEN=0.0.0.0:50051
# Probes and metrics come from outside of the container, too.
ENV BELLWETHER_ADMIN_LISTEN=0.0.0.0:9464
EXPOSE 50051 9464
ENTRYPOINT ["/usr/local/bin/bellwether"]
CMD ["serve"]
