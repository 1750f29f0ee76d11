/* The section of a page about what a token costs late in a text. */
#ifndef REPORT_COST_PAGE_H
#define REPORT_COST_PAGE_H

#include "report/figures.h"

/* Two figures and a table; *charts counts the figures of the page.  Nothing is written where there are no costs. */
void cost_page_write(text_out *out, const figures *f, int *charts);

#endif
