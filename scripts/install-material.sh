#!/usr/bin/env bash
# Debian packages that rendering sound needs (instruments, voices, recordings) and that tests and checks need (a browser, npm): 950 MB
# to fetch. Only what is missing is installed, and only as root where there is apt-get.
set -euo pipefail
packages=(
  libfluidsynth3 fluid-soundfont-gm musescore-general-soundfont opl3-soundfont timgm6mb-soundfont
  csound-soundfont avldrums.lv2-soundfont sonic-pi-samples tuxpaint-stamps-default klettres-data
  minuet-data freepats timidity ktuberling-data gcin-voice fillets-ng-data-cs fillets-ng-data-nl
  asterisk-core-sounds-en-g722 asterisk-core-sounds-fr-g722 asterisk-core-sounds-it-g722
  asterisk-core-sounds-ru-g722 espeak-ng flite ffmpeg
  sox parallel zsh
  chromium chromium-driver
)
command -v npm >/dev/null || packages+=(nodejs npm)  # for the checks of the pages' scripts
missing=()
if command -v dpkg-query >/dev/null; then
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
fi
if [ ${#missing[@]} -gt 0 ]; then
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "note: without the packages ${missing[*]} some sounds cannot be rendered and some tests are skipped" >&2
  fi
fi
