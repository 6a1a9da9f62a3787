/* What redcol uses of hiredis: the command encoder, and the reader for every reply but a stream's. */
#include <hiredis/hiredis.h>
