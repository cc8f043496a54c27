package org.mmsearch.fusion;

import java.util.Arrays;

import org.apache.lucene.util.NumericUtils;

/**
 * A hash map from keys to slots, which are numbers from 0 in order of insertion. It uses open addressing over primitive longs, because a
 * map of boxed keys would take several times longer than the rest of the fusion.
 */
final class KeySlots {

    private final long[] keys;
    /** Slot plus one, at the hash position of its key; 0 if empty. */
    private final int[] table;
    private int size;

    /** @param most maximum number of distinct keys */
    KeySlots(int most) {
        keys = new long[most];
        table = new int[Integer.highestOneBit(Math.max(most, 1)) << 2];
    }

    /** Returns the slot of a key; adds the key if it is new. */
    int slot(long key) {
        int mask = table.length - 1;
        // Fibonacci hashing: multiply by 2^64 / golden ratio and use the upper half, which depends on all bits of the key.
        int at = (int) (key * 0x9E3779B97F4A7C15L >>> Integer.SIZE) & mask;
        while (table[at] != 0) {
            if (keys[table[at] - 1] == key) {
                return table[at] - 1;
            }
            at = (at + 1) & mask;
        }
        keys[size] = key;
        table[at] = ++size;
        return size - 1;
    }

    /** Returns the key of a slot. */
    long key(int slot) {
        return keys[slot];
    }

    /** Returns the number of distinct keys. */
    int size() {
        return size;
    }

    /**
     * Ranks the slots.
     *
     * @param scores the score of each slot
     * @return the slots by descending score, then by ascending key
     */
    int[] order(float[] scores) {
        long[] ranked = new long[size];
        for (int slot = 0; slot < size; slot++) {
            ranked[slot] = (long) NumericUtils.floatToSortableInt(-scores[slot]) << Integer.SIZE | slot;
        }
        Arrays.sort(ranked);
        int[] order = new int[size];
        for (int from = 0, to; from < size; from = to) {
            for (to = from + 1; to < size && ranked[to] >> Integer.SIZE == ranked[from] >> Integer.SIZE;) {
                to++;
            }
            equalScores(ranked, order, from, to);
        }
        return order;
    }

    private void equalScores(long[] ranked, int[] order, int from, int to) {
        if (to - from == 1) {
            order[from] = (int) ranked[from];
            return;
        }
        long[] tied = new long[to - from];
        for (int i = 0; i < tied.length; i++) {
            tied[i] = keys[(int) ranked[from + i]];
        }
        Arrays.sort(tied);
        for (int i = 0; i < tied.length; i++) {
            order[from + i] = slot(tied[i]);
        }
    }
}
