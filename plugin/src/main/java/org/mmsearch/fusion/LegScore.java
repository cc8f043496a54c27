package org.mmsearch.fusion;

/**
 * Rank and scores of one hit in one leg.
 *
 * @param rank rank in the leg, from 1
 * @param raw the leg's score before normalization
 * @param normalized the score after normalization
 */
public record LegScore(int rank, float raw, float normalized) {}
