/* The frame of a page: its head with the styles, for light and dark screens and for paper. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include "report/text_out.h"

void page_begin(text_out *out, const char *title);
void page_end(text_out *out);

#endif
