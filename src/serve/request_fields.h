/* Reads what a request holds, and says what is wrong with it. */
#ifndef SERVE_REQUEST_FIELDS_H
#define SERVE_REQUEST_FIELDS_H

#include "base/json.h"
#include "text/text_buffer.h"

/* Why a request is not answered: the HTTP status, the field that is wrong ("" if none is), one line.  status 0: there
 * is no problem.  The first one sticks. */
typedef struct { int status; const char *code; char param[64], message[480]; } problem;
void refuse(problem *p, int status, const char *param, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* What is wrong by the library's account: what it refuses is the request's fault, a lack of memory is not. */
void refuse_error(problem *p, const char *param, const lithe_error *err);
/* OpenAI's JSON of a problem, to be freed; NULL if memory is out. */
char *problem_text(const problem *p);

/* object[key]; `otherwise` if it is absent or null.  A value of another type or out of range is a problem that names
 * the key. */
bool        field_flag(const json_t *object, const char *key, bool otherwise, problem *p);
int         field_int(const json_t *object, const char *key, int least, int most, int otherwise, problem *p);
double      field_number(const json_t *object, const char *key, double least, double most, double otherwise, problem *p);
const char *field_text(const json_t *object, const char *key, const char *otherwise, problem *p);
/* object[key] if it is given, whatever its type is; NULL if it is absent or null. */
const json_t *given(const json_t *object, const char *key);
/* A list of token ids below vocab, to be freed; NULL for an empty list too. */
int32_t    *field_ids(const json_t *list, const char *key, int vocab, size_t *n, problem *p);

/* The keys of a request that are none of known[] (which ends with NULL), "a, b", to be freed; NULL if there are none.
 * Only letters, digits, '_', '-' and '.' of them are kept. */
char *unknown_keys(const json_t *object, const char *const *known);

/* JSON in one line, to be freed; the reference to value is taken.  Numbers keep the nine digits that a float has. */
char *json_line(json_t *value);
/* A string of JSON from text that may not be UTF-8: what is not becomes U+FFFD. */
json_t *json_shown(const char *text, size_t n);

#endif
