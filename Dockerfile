# Build: the locked dependencies and the project's wheel, in an environment that is copied whole.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/gateway \
    && /opt/gateway/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE policies.yaml upstreams.yaml ./
COPY gateway ./gateway
RUN /opt/build/bin/hatchling build -t wheel -d /dist \
    && /opt/gateway/bin/pip install --no-cache-dir --no-deps --no-index /dist/*.whl

FROM python:3.11-slim
# The two files are mounted into /etc/gateway, the data lives in the volume. Nothing else is written.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin gateway \
    && install -d -o gateway -g gateway -m 0700 /var/lib/gateway \
    && install -d /etc/gateway
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GATEWAY_LISTEN=0.0.0.0:8000 \
    GATEWAY_ADMIN_LISTEN=0.0.0.0:8001 \
    GATEWAY_DATA_DIR=/var/lib/gateway
WORKDIR /etc/gateway
USER gateway
VOLUME /var/lib/gateway
EXPOSE 8000 8001
# Without a proxy from the environment in between, and without a tool that the image does not have.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8001, timeout=3); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["gateway"]
CMD ["serve"]
