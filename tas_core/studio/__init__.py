"""A scene under somebody's hands: changed, undone, heard and kept, on a page that this machine alone reaches."""
