# The environment of environment/packages.txt as an image, with the command line as its entry point:
#
#   docker build -t layerwise .
#   docker run -v layerwise-data:/data -v layerwise-runs:/runs layerwise train polyp conv4
#
# BASE    the image underneath: Debian 11, or a Debian or Ubuntu with a pycaffe of its own, such as a GPU build
# MIRROR  a Debian mirror that carries bullseye, for when the one in the base image has dropped it
# REVISION  of the project, for every run to record; `make image` gives it
ARG BASE=debian:bullseye-slim
FROM ${BASE}

USER root
ARG MIRROR=
# Before the rest of the project, so that a changed line of Python does not install the packages again.
COPY environment/packages.txt environment/install-packages /opt/layerwise/environment/
RUN /opt/layerwise/environment/install-packages \
    && python3 -c 'import caffe' \
    && rm -rf /var/lib/apt/lists/* \
    && { id layerwise >/dev/null 2>&1 || useradd --create-home layerwise; } \
    && install -d -o layerwise -g layerwise /data /runs

COPY . /opt/layerwise

ARG REVISION=
ENV LAYERWISE_REVISION=${REVISION} \
    PYTHONPATH=/opt/layerwise/python:/opt/layerwise${PYTHONPATH:+:$PYTHONPATH} \
    LAYERWISE_DATA=/data \
    LAYERWISE_RUNS=/runs \
    LC_ALL=C.UTF-8 \
    MPLBACKEND=Agg
VOLUME /data /runs
USER layerwise
WORKDIR /runs
ENTRYPOINT ["python3", "-m", "layerwise"]
CMD ["--help"]
