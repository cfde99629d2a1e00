#!/usr/bin/env bash
# Fetch the Debian packages whose recordings training may use beside the material of scripts/install-material.sh, and lay
# their sound files in FOLDER/PACKAGE, for `tas data bank --recordings FOLDER`:
#   bash scripts/install-training-material.sh FOLDER
# 3.4 GB to fetch, 1.6 GB to keep. Nothing is installed. A package that is there is left as it is, so that a run that was
# stopped goes on when it is started again.
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
part="$folder/.part"
sounds=(-iname '*.ogg' -o -iname '*.oga' -o -iname '*.wav' -o -iname '*.flac' -o -iname '*.mp3' -o -iname '*.aiff' -o -iname '*.g722')
for package in "${packages[@]}"; do
  [ -d "$folder/$package" ] && continue
  rm -rf "$part"
  mkdir -p "$part/deb" "$part/all" "$part/sounds"
  (cd "$part/deb" && apt-get -qq -o APT::Sandbox::User=root download "$package")
  dpkg-deb -x "$part"/deb/*.deb "$part/all"
  # Archives: zip files under two names, and Qt's resources, of which all but the instruments serve.
  find "$part/all" \( -name '*.pk3' -o -path '*/trigger-rally/data.zip' \) -type f -exec sh -c 'mkdir "$1.d" && python3 -m zipfile -e "$1" "$1.d"' _ {} \;
  find "$part/all" -name '*.rcc' ! -name 'instruments.rcc' -type f -exec python3 "$scripts/unpack_qt_resources.py" {} "$part/all" \;
  (cd "$part/all" && find . \( "${sounds[@]}" \) -type f -print0 | xargs -0 -r cp --parents -t "$part/sounds")
  mv "$part/sounds" "$folder/$package"
  echo "$package: $(find "$folder/$package" -type f | wc -l) files" >&2
done
rm -rf "$part"
