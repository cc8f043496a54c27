package org.mmsearch.shard;

import org.apache.lucene.search.Query;
import org.apache.lucene.search.QueryVisitor;

/** The methods that every query must implement. */
abstract class ForTests extends Query {

    @Override
    public void visit(QueryVisitor visitor) {
        visitor.visitLeaf(this);
    }

    @Override
    public String toString(String field) {
        return getClass().getSimpleName();
    }

    @Override
    public boolean equals(Object other) {
        return this == other;
    }

    @Override
    public int hashCode() {
        return System.identityHashCode(this);
    }
}
