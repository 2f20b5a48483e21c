# The service. What is fetched is checked by hash; what runs is not root and writes to no file.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
RUN python -m venv /opt/wex
COPY requirements/ requirements/
RUN /opt/wex/bin/pip install --require-hashes --only-binary :all: -r requirements/run.txt
# The build tools are those that development pins; they stay in this stage.
RUN awk '/^[a-z]/ { wanted = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } wanted' \
        requirements/dev.txt > /tmp/build.txt \
    && pip install --require-hashes --only-binary :all: -r /tmp/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY events/ events/
COPY store/ store/
COPY consumer/ consumer/
COPY migrations/ migrations/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheels . \
    && /opt/wex/bin/pip install --no-deps --no-index /tmp/wheels/*.whl \
    && /opt/wex/bin/pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --home-dir /nonexistent --shell /usr/sbin/nologin wex
COPY --from=build /opt/wex /opt/wex
ENV PATH=/opt/wex/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Health and metrics, for whoever the network of the container lets in.
ENV WEX_HTTP_HOST=0.0.0.0
EXPOSE 9464
WORKDIR /tmp
USER 10001:10001
# The first SIGTERM drains and releases the claims; see `wex consume --help`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["wex"]
CMD ["consume", "--migrate"]
