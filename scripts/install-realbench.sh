#!/usr/bin/env bash
# Fetch the recordings and the head of RealBench, which no training uses, and lay them in FOLDER/SOURCE, for
# `tas data realbench --recordings FOLDER`:
#   bash scripts/install-realbench.sh FOLDER
# Packages come from Debian, the rest from public git repositories at fixed commits. Nothing is installed. A source that
# is there is left as it is, so that a run that was stopped goes on when it is started again.
set -euo pipefail
packages=(etw-data fretsonfire-songs-muldjord fretsonfire-songs-sectoid openttd-opensfx)
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
  find "$part/all" -name '*.cat' -type f -exec python3 "$scripts/unpack_openttd_sounds.py" {} "$part/all" \;
  finish "$package"
done

repository librosa-data https://github.com/librosa/data 450cdd8a002c98e7bdbfebb309fc1ed024001f77 '/audio/*.hq.ogg'
repository sms-tools-materials https://github.com/MTG/sms-tools-materials 3727b58cfd77f4684395fccb98a32a58f9b2c099 '/sounds/*.wav'
repository gcompris-voices https://github.com/gcompris/GCompris-voices c0e8a743b7b4633af06b8dc15bc2b397e456dd6f \
  /en/ /de/ /pt_BR/ /ru/ /it/
repository libmysofa https://github.com/hoene/libmysofa 302b3fd025cc5105576a767a1e15483e116b8297 /tests/dtf_nh2.sofa
rm -rf "$part"
