#!/bin/sh
# Prints the Python that makes the environment: the one that PYTHON names, or else the newest on the PATH that fits.
# It must be 3.11 to 3.14 and have the modules of environments, which some systems pack apart.
set -u
check='
import sys
found = sys.version_info[:2]
if not (3, 11) <= found <= (3, 14):
    sys.exit("is Python %d.%d" % found)
try:
    import ensurepip, venv
except ImportError:
    sys.exit("lacks the modules of environments (Debian has them in python%d.%d-venv)" % found)
sys.stdout.write("fits")
'
if [ -n "${PYTHON:-}" ]; then
  set -- "$PYTHON"
else
  set -- python3.14 python3.13 python3.12 python3.11 python3 python
fi
refused=
for name in "$@"; do
  found=$(command -v "$name" 2>/dev/null) || found=
  if [ -z "$found" ]; then
    reason="is not there"
  else
    reason=$("$found" -c "$check" 2>&1 | head -n 1)
    if [ "$reason" = fits ]; then
      echo "$found"
      exit 0
    fi
    reason=${reason:-is no Python}
  fi
  # Most of the names that nobody gave are on no machine.
  if [ -n "$found" ] || [ -n "${PYTHON:-}" ]; then
    refused="$refused
  $name $reason"
  fi
done
echo "swiper: no Python from 3.11 to 3.14 to make the environment with; PYTHON=/path/to/python names one$refused" >&2
exit 1
