/* Parameter groups (model/groups.h).  Invariant: the groups of a model are sorted
 * by the names of their parameters, then by rows, then by columns, and no entry is in two. */
#include "base/json.h"
#include "model/groups.h"
#include <stdlib.h>
#include <string.h>

enum { JSON_BYTES = 16 << 20, JSON_DEPTH = 8, GROUPS_MAX = 1 << 20 };

/* ---- in memory ------------------------------------------------------------------ */

static int by_place(const void *a, const void *b)
{
    const param_group *x = a, *y = b;
    if (x->param != y->param) return strcmp(x->param->name, y->param->name);
    if (x->first != y->first) return (x->first > y->first) - (x->first < y->first);
    return (x->column > y->column) - (x->column < y->column);
}

static int width_of_rows(const param *p) { return (int)(p->count / (size_t)p->rule.dims[0]); }

/* Whether x lies in its parameter. */
static bool lies_inside(const param_group *x)
{
    int dim = x->param->rule.dims[0], width = width_of_rows(x->param);
    bool rows = x->first >= 0 && x->rows > 0 && x->first < dim && x->rows <= dim - x->first;
    return rows && (x->columns ? x->column >= 0 && x->columns > 0 && x->column < width && x->columns <= width - x->column : !x->column);
}

/* Whether y, which comes after x by place, overlaps x, or takes rows in part. */
static bool collide(const param_group *x, const param_group *y)
{
    if (x->param != y->param || x->first + x->rows <= y->first) return false;
    bool same_rows = x->first == y->first && x->rows == y->rows;
    return !same_rows || !x->columns || !y->columns || x->column + x->columns > y->column;
}

static int check(const param_group *g, int count, const char *what, lithe_error *err)
{
    for (int i = 0; i < count; i++) {
        bool inside = lies_inside(&g[i]), shared = i && collide(&g[i - 1], &g[i]);
        if (!inside || shared)
            return fail(err, LITHE_ECONFIG, "%s: a group of %s has %d rows from %d on, %s", what, g[i].param->name, g[i].rows, g[i].first,
                        shared ? "some of which belong to another group" : "which the parameter does not have");
    }
    return LITHE_OK;
}

int groups_set(lithe_model *m, param_group *groups, int count, const char *what, lithe_error *err)
{
    if (count > 0) qsort(groups, (size_t)count, sizeof *groups, by_place);
    int status = failed(err) ? (int)err->status : check(groups, count, what, err);
    if (status) {
        free(groups);
        return status;
    }
    free(m->groups);
    m->groups = groups;
    m->group_count = count;
    return LITHE_OK;
}

void groups_begin(lithe_model *m, int updates, bool reset)
{
    for (int i = 0; i < m->group_count; i++) {
        param_group *g = &m->groups[i];
        if (reset) g->born = 0;
        else if (g->born == BORN_LATER) g->born = updates;
    }
}

/* ---- as JSON -------------------------------------------------------------------- */

static bool read_group(param_group *g, const lithe_model *m, const json_t *entry)
{
    const json_t *factor = json_object_get(entry, "lr_factor");
    const char *name = json_string_value(json_object_get(entry, "param"));
    *g = (param_group){ .param = name ? params_find(m->params, name) : NULL, .lr_factor = factor ? json_number_value(factor) : 1,
                         .frozen = json_is_true(json_object_get(entry, "frozen")) };
    bool rows = json_int(entry, "first", 0, INT32_MAX, &g->first) && json_int(entry, "rows", 1, INT32_MAX, &g->rows);
    bool born = !json_object_get(entry, "born") || json_int(entry, "born", BORN_LATER, UPDATES_MAX, &g->born);
    bool columns = !json_object_get(entry, "columns") || (json_int(entry, "column", 0, INT32_MAX, &g->column) && json_int(entry, "columns", 1, INT32_MAX, &g->columns));
    bool rewarm = !json_object_get(entry, "rewarm") || json_int(entry, "rewarm", 0, UPDATES_MAX, &g->rewarm);
    return g->param && rows && born && columns && rewarm && g->lr_factor >= 0 && g->lr_factor <= 1e6;
}

int groups_read(lithe_model *m, const json_t *list, const char *what, lithe_error *err)
{
    size_t n = json_array_size(list), i;
    json_t *entry;
    if (failed(err)) return err->status;
    if (!json_is_array(list) || n > GROUPS_MAX) return fail(err, LITHE_ECONFIG, "%s: is not a list of at most %d parameter groups", what, GROUPS_MAX);
    param_group *groups = xalloc(n + 1, sizeof *groups);
    if (!groups) return fail(err, LITHE_ENOMEM, "%s: not enough memory for %zu parameter groups", what, n);
    json_array_foreach(list, i, entry)
        if (!read_group(&groups[i], m, entry)) {
            free(groups);
            return fail(err, LITHE_ECONFIG, "%s: group %zu has a parameter, rows, columns, a \"born\", a \"rewarm\" or an \"lr_factor\" that is not valid", what, i);
        }
    return groups_set(m, groups, (int)n, what, err);
}

json_t *groups_json(const lithe_model *m)
{
    json_t *list = json_array();
    for (int i = 0; list && i < m->group_count; i++) {
        const param_group *g = &m->groups[i];
        json_t *entry = json_pack("{s:s,s:i,s:i,s:i,s:f,s:b}", "param", g->param->name, "first", g->first, "rows", g->rows, "born", g->born,
                                  "lr_factor", g->lr_factor, "frozen", g->frozen);
        if (g->columns) json_object_update_new(entry, json_pack("{s:i,s:i}", "column", g->column, "columns", g->columns));
        if (g->rewarm) json_object_set_new(entry, "rewarm", json_integer(g->rewarm));
        if (!json_array_append_new(list, entry)) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

/* ---- the file beside the model ------------------------------------------------------ */

int groups_open(lithe_model *m, const char *dir, lithe_error *err)
{
    if (failed(err)) return err->status;
    char *path = path_join(dir, "trainer.json");
    if (!path) return fail(err, LITHE_ENOMEM, "%s: not enough memory to open it", dir);
    json_t *json = path_exists(path) ? json_read(path, JSON_BYTES, JSON_DEPTH, err) : NULL, *list = json_object_get(json, "groups");
    int status = failed(err) ? (int)err->status : list ? groups_read(m, list, path, err) : LITHE_OK;
    json_decref(json);
    free(path);
    return status;
}

int groups_save(const lithe_model *m, const char *dir, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (!m->group_count) return LITHE_OK;
    char *path = path_join(dir, "trainer.json");
    json_t *json = json_pack("{s:i, s:o?}", "format", 1, "groups", groups_json(m));
    int status = path && json ? json_write(json, path, err) : fail(err, LITHE_ENOMEM, "%s: not enough memory for trainer.json", dir);
    json_decref(json);
    free(path);
    return status;
}
