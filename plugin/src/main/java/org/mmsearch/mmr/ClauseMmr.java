package org.mmsearch.mmr;

import java.util.Set;
import java.util.TreeSet;

import org.apache.lucene.search.BooleanClause;
import org.mmsearch.neural.NeuralQueryBuilder;
import org.opensearch.core.action.ActionListener;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;
import org.opensearch.knn.index.query.KNNQueryBuilder;
import org.opensearch.knn.search.processor.mmr.MMRQueryTransformer;
import org.opensearch.knn.search.processor.mmr.MMRTransformContext;
import org.opensearch.knn.search.processor.mmr.MMRUtil;

/**
 * Supports a clause of mmsearch in k-NN's maximal marginal relevance (MMR): resolves the vector field of the clause and raises its
 * {@code k} to the number of candidates. Only k-NN loads these classes, so a node without k-NN does not need them.
 */
abstract class ClauseMmr<T extends QueryBuilder> implements MMRQueryTransformer<T> {

    private final String name;

    /** @param name the query name of the clause */
    ClauseMmr(String name) {
        this.name = name;
    }

    @Override
    public final String getQueryName() {
        return name;
    }

    @Override
    public final void transform(T query, ActionListener<Void> listener, MMRTransformContext context) {
        try {
            VectorQueryVisitor vectors = new VectorQueryVisitor(context.getCandidates());
            query.visit(vectors);
            if (context.isVectorFieldInfoResolved()) {
                listener.onResponse(null);
                return;
            }
            if (vectors.fields.size() != 1) {
                throw new IllegalArgumentException(
                    "[" + name + "] expected queries on one vector field for [ext.mmr], got " + vectors.fields
                        + ": set [ext.mmr.vector_field_path] to the field to compare hits by"
                );
            }
            resolve(vectors.fields.iterator().next(), listener, context);
        } catch (RuntimeException e) {
            listener.onFailure(e);
        }
    }

    private static void resolve(String field, ActionListener<Void> listener, MMRTransformContext context) {
        context.getMmrRerankContext().setVectorFieldPath(field);
        MMRUtil.resolveKnnVectorFieldInfo(
            field,
            context.getUserProvidedSpaceType(),
            context.getUserProvidedVectorDataType(),
            context.getLocalIndexMetadataList(),
            context.getClient(),
            ActionListener.map(listener, info -> {
                context.getMmrRerankContext().setVectorDataType(info.getVectorDataType());
                context.getMmrRerankContext().setSpaceType(info.getSpaceType());
                return null;
            })
        );
    }

    /** Collects the vector fields of a query and raises each {@code k} to the number of candidates. */
    private static final class VectorQueryVisitor implements QueryBuilderVisitor {
        private final Set<String> fields = new TreeSet<>();
        private final int candidates;

        VectorQueryVisitor(int candidates) {
            this.candidates = candidates;
        }

        @Override
        public void accept(QueryBuilder query) {
            if (query instanceof NeuralQueryBuilder neural) {
                fields.add(neural.fieldName());
                neural.atLeast(candidates);
            } else if (query instanceof KNNQueryBuilder knn) {
                fields.add(knn.fieldName());
                boolean byK = knn.getMinScore() == null && knn.getMaxDistance() == null;
                if (byK && knn.getK() < candidates) {
                    knn.setK(candidates);
                }
            }
        }

        @Override
        public QueryBuilderVisitor getChildVisitor(BooleanClause.Occur occur) {
            // Filters and exclusions do not add hits to diversify.
            return occur == BooleanClause.Occur.FILTER || occur == BooleanClause.Occur.MUST_NOT ? NO_OP_VISITOR : this;
        }
    }
}
