# syntax=docker/dockerfile:1
# The server alone on a base without shell or package manager. Needs BuildKit, for its caches.

ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-slim-trixie AS build
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
    --mount=type=cache,target=/source/target,sharing=locked \
    touch build.rs src/lib.rs src/main.rs \
    && cargo build --locked --release --bin bellwether \
    && cp target/release/bellwether /bellwether

# The same Debian as trixie, whose C library is the one that was linked against.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /bellwether /usr/local/bin/bellwether
# In numbers, because Kubernetes cannot tell whether a name is root.
USER 65532:65532
# Where the embedded store may write when nothing else is set.
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
