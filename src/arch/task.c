/* The task of a model, read from config.json and written to it as Hugging Face's classes are named (arch.h).
 * Invariant: task_read of what task_publish wrote gives the same task. */
#include "arch/arch.h"
#include <stdio.h>
#include <string.h>

enum { MOST_LABELS = 1 << 20 };

/* The first ending of a task is the one that is written. */
static const struct { const char *ending; task_kind kind; head_form form; } endings[] = {
    { "ForCausalLM", TASK_LANGUAGE, FORM_CLASSES }, { "LMHeadModel", TASK_LANGUAGE, FORM_CLASSES }, { "ForMaskedLM", TASK_LANGUAGE, FORM_CLASSES }, { "ForPreTraining", TASK_PRETRAIN, FORM_CLASSES },
    { "ForSequenceClassification", TASK_SEQUENCE, FORM_CLASSES }, { "ForImageClassification", TASK_SEQUENCE, FORM_CLASSES }, { "ForTokenClassification", TASK_TOKENS, FORM_CLASSES },
    { "ForQuestionAnswering", TASK_SPAN, FORM_CLASSES }, { "Model", TASK_BODY, FORM_CLASSES },
    { "ForNextSentencePrediction", TASK_SEQUENCE, FORM_NEXT }, { "ForMultipleChoice", TASK_SEQUENCE, FORM_CHOICE },
    { "ForImageClassificationWithTeacher", TASK_SEQUENCE, FORM_TEACHER },
};
enum { ENDINGS = sizeof endings / sizeof *endings };

static bool ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

static int find_ending(const char *class_name)
{
    for (int i = 0; class_name && i < ENDINGS; i++)
        if (ends_with(class_name, endings[i].ending)) return i;
    return -1;
}

bool task_stem(const char *class_name, size_t *length)
{
    const int i = find_ending(class_name);
    if (i >= 0) *length = strlen(class_name) - strlen(endings[i].ending);
    return i >= 0;
}

const char *const task_endings = "known: ...ForCausalLM, ...LMHeadModel, ...ForMaskedLM, ...ForPreTraining, ...ForSequenceClassification, ...ForImageClassification, "
                                 "...ForTokenClassification, ...ForQuestionAnswering, ...ForNextSentencePrediction, ...ForMultipleChoice, ...Model";

static const char *class_of(const json_t *config) { return json_string_value(json_array_get(json_object_get(config, "architectures"), 0)); }

bool arch_encoder(const arch *a, const void *config) { return a->equations.encoder && a->equations.encoder(config); }

bool arch_reads_images(const arch *a) { return a->equations.image != NULL; }

image_shape arch_images(const arch *a, const void *config) { return a->equations.image ? a->equations.image(config) : (image_shape){ 0 }; }

task arch_task(const arch *a)
{
    int i = find_ending(a->class_name);
    return (task){ .kind = i < 0 ? TASK_LANGUAGE : endings[i].kind, .labels = 2 };
}

bool arch_head_tensor(const arch *a, const char *name)
{
    if (!strcmp(name, "score.weight") || (a->files.tied_head && !strcmp(name, a->files.tied_head))) return true;
    for (const char *const *h = a->files.heads; h && *h; h++)
        if (!strncmp(name, *h, strlen(*h))) return true;
    return false;
}

/* Whether the file of a bare causal model has what a language model needs: its head is the embedding. */
static bool has_tied_head(const arch *a, const json_t *config)
{
    const json_t *said = json_object_get(config, "tie_word_embeddings");
    for (const field *f = a->config.fields; f->key; f++)
        if (!strcmp(f->key, "tie_word_embeddings")) return json_is_boolean(said) ? json_is_true(said) : f->value > 0;
    return true;
}

static int read_labels(const json_t *config, task *t, const char *what, lithe_error *err)
{
    if (t->form == FORM_NEXT || t->form == FORM_CHOICE) {
        t->labels = t->form == FORM_NEXT ? 2 : 1;
        t->regression = t->form == FORM_CHOICE;
        return LITHE_OK;
    }
    const json_t *names = json_object_get(config, "id2label"), *number = json_object_get(config, "num_labels");
    const char *problem = json_string_value(json_object_get(config, "problem_type"));
    json_int_t n = json_is_object(names) ? (json_int_t)json_object_size(names) : json_is_integer(number) ? json_integer_value(number) : 2;
    if (n < 1 || n > MOST_LABELS) return fail(err, LITHE_ECONFIG, "%s: %lld labels, must be from 1 to %d", what, (long long)n, MOST_LABELS);
    t->labels = (int)n;
    t->regression = t->kind == TASK_SEQUENCE && (problem ? !strcmp(problem, "regression") : n == 1);
    const bool several = problem && !strcmp(problem, "multi_label_classification");
    t->sigmoid = t->kind == TASK_SEQUENCE && (several || (n == 1 && !problem));
    if (problem && t->kind == TASK_SEQUENCE && !several && strcmp(problem, "regression") && strcmp(problem, "single_label_classification"))
        return fail(err, LITHE_ECONFIG, "%s: problem_type is \"%.60s\", expected single_label_classification, multi_label_classification or regression", what, problem);
    if (t->regression && n != 1) return fail(err, LITHE_ECONFIG, "%s: a regression of %lld numbers, only one is supported", what, (long long)n);
    return LITHE_OK;
}

int task_read(const arch *a, const json_t *config, task *out, const char *what, lithe_error *err)
{
    if (failed(err)) return err->status;
    const char *name = class_of(config);
    int i = find_ending(name);
    *out = arch_task(a);
    /* A bare causal model is the language model it was saved from, unless the head of that was left out. */
    if (i >= 0 && !(endings[i].kind == TASK_BODY && !a->equations.encoder && has_tied_head(a, config))) out->kind = endings[i].kind, out->form = endings[i].form;
    if ((out->kind == TASK_LANGUAGE || out->kind == TASK_PRETRAIN) && !a->equations.language)
        return fail(err, LITHE_ECONFIG, "%s: architectures says %.80s: %s has no head of a language model", what, name ? name : "nothing", a->name);
    if (out->kind == TASK_PRETRAIN && !a->equations.classify)
        return fail(err, LITHE_ECONFIG, "%s: architectures says %.80s: %s does not predict the next sentence", what, name ? name : "nothing", a->name);
    return read_labels(config, out, what, err);
}

static int write_class(const arch *a, const task *t, json_t *config)
{
    const char *present = class_of(config), *usual = arch_class(a, json_string_value(json_object_get(config, "model_type")));
    const task own = arch_task(a);
    const int at = find_ending(present);
    const char *like = at >= 0 ? present : usual;
    int i = 0;
    size_t n = 0;
    char name[160];
    if (at >= 0 && endings[at].kind == t->kind && endings[at].form == t->form) return 0;
    if (t->kind == own.kind && at < 0) return json_object_set_new(config, "architectures", json_pack("[s]", usual));
    while (endings[i].kind != t->kind || endings[i].form != t->form) i++;
    if (t->kind == own.kind) i = find_ending(a->class_name);
    task_stem(like, &n);
    snprintf(name, sizeof name, "%.*s%s", n > 100 ? 100 : (int)n, like, endings[i].ending);
    return json_object_set_new(config, "architectures", json_pack("[s]", name));
}

int task_publish(const arch *a, const task *t, json_t *config)
{
    if (write_class(a, t, config)) return LITHE_ENOMEM;
    if ((t->kind != TASK_SEQUENCE && t->kind != TASK_TOKENS) || t->form == FORM_NEXT || t->form == FORM_CHOICE) return LITHE_OK;
    if (!json_is_object(json_object_get(config, "id2label")) && json_object_set_new(config, "num_labels", json_integer(t->labels))) return LITHE_ENOMEM;
    if (t->regression && !t->sigmoid && json_object_set_new(config, "problem_type", json_string("regression"))) return LITHE_ENOMEM;
    return LITHE_OK;
}

const char *task_name(const task *t)
{
    static const char *const names[] = { "language", "pretrain", "classify", "tokens", "span", "body" };
    return t->form == FORM_CHOICE ? "choice" : t->regression ? "regress" : names[t->kind];
}
