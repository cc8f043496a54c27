package org.mmsearch.neural;

import java.util.AbstractList;
import java.util.RandomAccess;

/** A view of a vector as a list, for a parser, without a copy. */
final class FloatList extends AbstractList<Float> implements RandomAccess {

    private final float[] vector;

    FloatList(float[] vector) {
        this.vector = vector;
    }

    @Override
    public Float get(int i) {
        return vector[i];
    }

    @Override
    public int size() {
        return vector.length;
    }
}
