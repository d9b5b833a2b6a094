// A directory of its own for a test, removed at its end.
#pragma once

// Under $TMPDIR, or /tmp. NULL: none can be made. Freed by directory_remove().
char *directory_make(void);
void directory_remove(char *path); // with all it holds; takes NULL
