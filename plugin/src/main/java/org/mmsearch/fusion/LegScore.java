package org.mmsearch.fusion;

/**
 * What one leg says about one hit.
 *
 * @param rank place in the leg's list, from 1
 * @param raw the leg's own score
 * @param normalized the score that was combined
 */
public record LegScore(int rank, float raw, float normalized) {}
