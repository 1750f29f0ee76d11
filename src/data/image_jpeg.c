/* JPEG (ISO 10918) through libjpeg, baseline and progressive: grey, RGB, and
 * CMYK with Adobe's inverted inks.
 * Invariant: libjpeg's longjmp ends in `decode`, whose only state is what
 * its argument points to, so nothing is lost or read after the jump. */
#include "data/image.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

enum { SCANS = 200 };                /* of a progressive file; each costs a pass over all pixels */

typedef struct {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr manager;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    image *out;
    int *orientation;
    uint8_t *row;                    /* of CMYK samples */
    const uint8_t *bytes;
    size_t size;
    const char *name;
    lithe_error *err;
    lithe_status status;             /* of the failure that err holds; else: */
    char text[JMSG_LENGTH_MAX];
} reading;

static void on_error(j_common_ptr jpeg)
{
    reading *r = jpeg->client_data;
    jpeg->err->format_message(jpeg, r->text);
    longjmp(r->back, 1);
}

/* libjpeg goes on after damage and makes grey of what is missing; only bytes that nobody needs are let pass. */
static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0 && jpeg->err->msg_code != JWRN_EXTRANEOUS_DATA && jpeg->err->msg_code != JWRN_JFIF_MAJOR) on_error(jpeg);
}

static void on_progress(j_common_ptr jpeg)
{
    reading *r = jpeg->client_data;
    if (r->jpeg.input_scan_number <= SCANS) return;
    snprintf(r->text, sizeof r->text, "more than %d scans", SCANS);
    longjmp(r->back, 1);
}

static void set_up(reading *r)
{
    r->jpeg.err = jpeg_std_error(&r->manager);
    r->manager.error_exit = on_error;
    r->manager.emit_message = on_message;
    r->progress.progress_monitor = on_progress;
    r->jpeg.client_data = r;
}

static int choose_colours(j_decompress_ptr jpeg)
{
    bool grey = jpeg->num_components == 1, inks = jpeg->num_components == 4;
    jpeg->out_color_space = grey ? JCS_GRAYSCALE : inks ? JCS_CMYK : JCS_RGB;
    return grey ? 1 : 3;
}

/* Adobe stores 255 - ink: white is 255 four times. */
static void inks_to_colour(uint8_t *to, const uint8_t *row, int width)
{
    for (int x = 0; x < width; x++, row += 4)
        for (int c = 0; c < 3; c++) *to++ = (uint8_t)((row[c] * row[3] + 127) / 255);
}

/* Exif data are a marker of their own, after these letters. */
static void read_orientation(reading *r)
{
    static const char letters[6] = "Exif\0";
    for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m; m = m->next)
        if (m->data_length > sizeof letters && !memcmp(m->data, letters, sizeof letters))
            *r->orientation = exif_orientation(m->data + sizeof letters, m->data_length - sizeof letters);
}

static bool decode(reading *r)
{
    j_decompress_ptr jpeg = &r->jpeg;
    if (setjmp(r->back)) return false;
    jpeg_create_decompress(jpeg);
    jpeg->progress = &r->progress;
    jpeg_mem_src(jpeg, r->bytes, r->size);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    read_orientation(r);
    r->status = (lithe_status)image_new(r->out, jpeg->image_width, jpeg->image_height, choose_colours(jpeg), r->name, r->err);
    if (r->status) return false;
    jpeg_start_decompress(jpeg);
    bool inks = jpeg->out_color_space == JCS_CMYK;
    if (inks && !(r->row = malloc((size_t)r->out->width * 4))) ERREXIT1(jpeg, JERR_OUT_OF_MEMORY, 0);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *to = r->out->pixels + (size_t)jpeg->output_scanline * (size_t)r->out->width * (size_t)r->out->channels;
        JSAMPROW row = inks ? r->row : to;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (inks) inks_to_colour(to, r->row, r->out->width);
    }
    jpeg_finish_decompress(jpeg);
    return true;
}

int jpeg_decode(image *out, int *orientation, const uint8_t *bytes, size_t size, const char *name, lithe_error *err)
{
    reading r = { .out = out, .orientation = orientation, .bytes = bytes, .size = size, .name = name, .err = err };
    set_up(&r);
    bool good = decode(&r);
    jpeg_destroy_decompress(&r.jpeg);
    free(r.row);
    if (good) return LITHE_OK;
    return r.status ? (int)r.status : fail(err, LITHE_EFORMAT, "%s: a damaged JPEG file: %s", name, r.text);
}
