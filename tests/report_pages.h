/* Checks of the pages of lithe report. */
#ifndef TEST_REPORT_PAGES_H
#define TEST_REPORT_PAGES_H

#include "browser.h"

int  count_of(const char *text, const char *part);
/* Tags balance, attributes are quoted, and & begins one of four entities. */
void check_well_formed(const char *page);
void check_alone(const char *page);
/* Every colour of each :root block but the rules' against its paper, and the ink against each shade that lies under
 * text, by WCAG 2.2; their number. */
int  check_contrast(const char *page);

/* A copy of the page that looks at itself (tests/report_look.js), with `more` before its end. */
void write_looking(const char *name, const char *page, const char *more);
/* What the page says of its looks at this width and in this theme, in `line`; the image is at `image`. */
bool look(const char *program, const char *name, int width, bool light, const char *image, char line[4000]);
/* Looks at a page on a desktop and on a phone, light and dark, and checks it.  Skips the test without a browser. */
void check_looks(const char *page, const char *called);

#endif
