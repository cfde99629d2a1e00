# How sound files of packages and public repositories come into FOLDER/SOURCE; read by install-training-material.sh and
# install-realbench.sh, which set $folder. A source that is there is left as it is, so that a run that was stopped goes
# on when it is started again. $part is the folder of what is under way.
part="$folder/.part"
sounds=(-iname '*.ogg' -o -iname '*.oga' -o -iname '*.wav' -o -iname '*.flac' -o -iname '*.mp3' -o -iname '*.aiff' -o -iname '*.g722' -o -iname '*.sofa')

finish() { # SOURCE: the sound files of $part/all become FOLDER/SOURCE
  mkdir -p "$part/sounds"
  (cd "$part/all" && find . \( "${sounds[@]}" \) -type f -print0 | xargs -0 -r cp --parents -t "$part/sounds")
  mv "$part/sounds" "$folder/$1"
  echo "$1: $(find "$folder/$1" -type f | wc -l) files" >&2
}

unpack() { # PACKAGE: what a Debian package installs, in $part/all
  rm -rf "$part"
  mkdir -p "$part/deb" "$part/all"
  (cd "$part/deb" && apt-get -qq -o APT::Sandbox::User=root download "$1")
  dpkg-deb -x "$part"/deb/*.deb "$part/all"
}

repository() { # SOURCE URL COMMIT PATH...: these paths of a repository at a commit
  local source="$1" url="$2" commit="$3"
  shift 3
  [ -d "$folder/$source" ] && return
  rm -rf "$part"
  mkdir -p "$part/all"
  git -C "$part/all" init -q
  git -C "$part/all" sparse-checkout set --no-cone "$@"
  git -C "$part/all" remote add origin "$url"
  git -C "$part/all" fetch -q --depth 1 --filter=blob:none origin "$commit"
  git -C "$part/all" checkout -q FETCH_HEAD
  finish "$source"
}
