/* The parts of the list in infer.c that have a file of their own. */
#ifndef TEST_INFER_TESTS_H
#define TEST_INFER_TESTS_H

void what_may_be_shown(void);               /* infer_text.c */
void text_streams(void);
void ids_become_text(void);
void stop_strings(void);
void ends_of_text(void);
void ends_by_files(void);
void sampling_by_files(void);
void sessions_without_end(void);            /* infer_state.c */
void endless_prefixes_are_kept(void);
void states_on_disk(void);
void states_of_others(void);
void states_to_begin_from(void);
void states_to_begin_from_refused(void);
void states_that_lie(void);
void states_damaged(void);
void scores_in_windows(void);               /* infer_score.c */
void scoring_refuses(void);
void sliding_windows(void);
void two_models_compared(void);
void logits_in_a_file(void);

#endif
