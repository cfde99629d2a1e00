#!/usr/bin/env bash
# Debian packages with the instruments, voices and recordings that the full stem bank is rendered from.
set -euo pipefail
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
  libfluidsynth3 fluid-soundfont-gm musescore-general-soundfont opl3-soundfont timgm6mb-soundfont \
  csound-soundfont avldrums.lv2-soundfont sonic-pi-samples tuxpaint-stamps-default klettres-data \
  asterisk-core-sounds-en-g722 espeak-ng flite ffmpeg
