/* What the models of runs show on a text: features by layer, attention, the use of parameter tokens, decays, the
 * surprise of each token. */
#ifndef REPORT_MODEL_VIEWS_H
#define REPORT_MODEL_VIEWS_H

#include "base/arena.h"
#include "lithe_eval.h"
#include "report/figures.h"

/* A piece of a text: of one token, or of several whose bytes are characters together, with the sum of their bits; NaN
 * for what nothing came before. */
typedef struct { const char *text; int32_t id; int tokens; double bits; } surprise;

/* A model of a run: its newest, or an older checkpoint. */
typedef struct {
    int run, step;                       /* step -1: not known */
    bool newest;
    lithe_diversity *diversity;          /* NULL: not measured */
    surprise *tokens; size_t token_count;
    double bits; size_t scored, bytes;   /* sum over the tokens that have one; their text's, special ones have none */
    lithe_internals *inside;             /* of the beginning of the text; NULL: not looked into */
    lithe_internals *maps;               /* with the attention of a shorter beginning, which is: */
    const char *map_text;
} model_view;

typedef struct model_views {
    arena memory;
    const figures *figures;
    model_view *views; size_t count, room;
    const char **notes; size_t note_count, note_room;    /* what could not be shown, a line each */
    double began;                        /* on lithe_clock's scale */
} model_views;

/* Opens the models that the options ask for, each run's newest first, and measures them.  What cannot be opened or
 * measured is a note; fails when memory is out only.  To be closed after a failure too. */
int  model_views_measure(model_views *v, const figures *f, lithe_error *err);
void model_views_close(model_views *v);
/* Whether no view before it is of a run that differs in its seed only. */
bool model_view_first(const model_views *v, const model_view *m);
/* "step 100" of one run's models, else the run's name. */
const char *model_view_name(const model_views *v, const model_view *m, char text[128]);

/* Attention of some heads of a model: of up to MAP_LAYERS layers and MAP_HEADS heads, evenly among all.  Heads of the
 * i-th shown layer go to maps; returns their number, 0 past the last layer. */
enum { MAP_LAYERS = 3, MAP_HEADS = 4, MAP_RUNS = 3 };
int  shown_maps(const model_view *m, int i, lithe_attention_map maps[MAP_HEADS]);
/* Sections of the newest models. */
void attention_page_write(text_out *out, const model_views *v);
void slots_page_write(text_out *out, const model_views *v, int *charts);
void decay_page_write(text_out *out, const model_views *v, int *charts);
/* Their sections of the page; *charts counts its figures.  Nothing is written where nothing was asked for. */
void model_page_write(text_out *out, const model_views *v, int *charts);
/* Their numbers beside it. */
int  model_records_write(const model_views *v, const char *dir, lithe_error *err);

#endif
