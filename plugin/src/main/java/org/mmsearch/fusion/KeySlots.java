package org.mmsearch.fusion;

import java.util.Arrays;

import org.apache.lucene.util.NumericUtils;

/**
 * Numbers distinct keys in the order in which they first come. A table of longs with open addressing: a map of boxed keys costs several
 * times what the rest of a fusion does.
 */
final class KeySlots {

    private final long[] keys;
    /** A slot's number plus one, at the place of its key; 0 is empty. */
    private final int[] table;
    private int size;

    /** @param most how many distinct keys may come */
    KeySlots(int most) {
        keys = new long[most];
        table = new int[Integer.highestOneBit(Math.max(most, 1)) << 2];
    }

    /** The number of a key, from 0. */
    int slot(long key) {
        int mask = table.length - 1;
        // Multiplied by the golden ratio's fraction (Fibonacci hashing), whose upper bits depend on all of the key's.
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

    /** The key that has a number. */
    long key(int slot) {
        return keys[slot];
    }

    /** How many distinct keys came. */
    int size() {
        return size;
    }

    /**
     * Ranks the keys.
     *
     * @param scores one a key, by its number
     * @return the keys' numbers by descending score and then ascending key
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
