/* SPDX-License-Identifier: Apache-2.0 */
/* What redcol uses of hiredis: the command encoder, and the reader for replies without entries. */
#include <hiredis/hiredis.h>
