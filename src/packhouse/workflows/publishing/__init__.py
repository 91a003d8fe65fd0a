"""Files enter, move between and leave channels: by upload, copy, move and removal."""
