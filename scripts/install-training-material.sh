#!/usr/bin/env bash
# Fetch the recordings that training may use beside the material of scripts/install-material.sh, and lay them in
# FOLDER/SOURCE, for `tas data bank --recordings FOLDER`:
#   bash scripts/install-training-material.sh FOLDER
# Packages come from Debian, the rest from public git repositories at fixed commits: 3.6 GB to fetch, 1.9 GB to keep.
# Nothing is installed. A source that is there is left as it is, so that a run that was stopped goes on when started again.
set -euo pipefail
packages=(
  asterisk-core-sounds-es-g722 asterisk-prompt-it-menardi-wav bucklespring-data bzflag-data csoundqt-examples
  deepin-sound-theme dreamchess-data endless-sky-data extremetuxracer-data festvox-ru flare-game
  foobillardplus-data freecol freedink-data freedroidrpg-data gamine-data gcompris-qt-data gnubg-data
  hedgewars-data heroes-sound-effects hydrogen-data hydrogen-drumkits hydrogen-drumkits-effects lincity-ng-data
  lmms-common lomiri-sounds lugaru-data megaglest-data minetest-data minetest-mod-homedecor
  minetest-mod-mobs-redo minetest-mod-nether minetest-mod-xdecor openarena-081-players openarena-data
  openssn-data oxygen-sounds pokerth-data psi-plus-sounds psychtoolbox-3-common scorched3d-data scratch
  searchandrescue-data simutrans-pak64 sound-icons sound-theme-freedesktop torcs-data trigger-rally-data
  tuxtype-data ufoai-sound unknown-horizons warmux-data wesnoth-1.16-data widelands-data wordwarvi-sound
  yaru-theme-sound zaz-data
)
if [ $# != 1 ]; then
  sed -n '2,6s/^# \?//p' "$0" >&2
  exit 2
fi
scripts="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$1"
folder="$(cd "$1" && pwd)"
. "$scripts/sound_sources.sh"
for package in "${packages[@]}"; do
  [ -d "$folder/$package" ] && continue
  unpack "$package"
  # Archives: zip files under two names, and Qt's resources, of which all but the instruments serve.
  find "$part/all" \( -name '*.pk3' -o -path '*/trigger-rally/data.zip' \) -type f -exec sh -c 'mkdir "$1.d" && python3 -m zipfile -e "$1" "$1.d"' _ {} \;
  find "$part/all" -name '*.rcc' ! -name 'instruments.rcc' -type f -exec python3 "$scripts/unpack_qt_resources.py" {} "$part/all" \;
  finish "$package"
done

repository esc-10 https://github.com/karolpiczak/ESC-10 553c8f1743b9dba6b282e1323c3ca8fa76923448 '/0*/*.ogg'
repository picovoice-speech-to-intent https://github.com/Picovoice/speech-to-intent-benchmark 47b1ca63afe4f08cb83e1f70fec16764879bd130 \
  /data/speech/clean/
repository picovoice-wake-words https://github.com/Picovoice/wake-word-benchmark 84919190fb1891bf0936dcb577d9268e467f876f \
  /audio/computer/ /audio/jarvis/ /audio/snowboy/
rm -rf "$part"
