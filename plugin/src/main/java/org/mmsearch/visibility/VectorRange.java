package org.mmsearch.visibility;

import java.util.Map;

import org.mmsearch.fusion.ScoreRange;
import org.opensearch.index.mapper.DocumentMapper;
import org.opensearch.index.mapper.MappedFieldType;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.knn.index.SpaceType;
import org.opensearch.knn.index.engine.KNNMethodContext;
import org.opensearch.knn.index.mapper.KNNVectorFieldType;

/**
 * The range of the scores of a vector field. k-NN maps distances to scores up to 1, and an inner product p ≥ 0 to 1 + p, which is at most
 * 2 for vectors of length 1, as mmsearch's are. The low end is what a random document scores, which ingest writes into the mapping. Refers to classes of k-NN, so it is loaded only
 * if there is a k-NN query.
 */
final class VectorRange {

    /** Key of {@code _meta.mmsearch}: by field, the mean score of documents that have nothing to do with the query. */
    private static final String RANDOM_SCORES = "random_scores";

    private VectorRange() {}

    /** Returns the range of a field's scores; {@link ScoreRange#NONE} if its metric has none. */
    static ScoreRange of(QueryShardContext context, String field) {
        MappedFieldType type = context.fieldMapper(field);
        if (type instanceof KNNVectorFieldType vector) {
            SpaceType space = vector.getKnnMappingConfig().getKnnMethodContext().map(KNNMethodContext::getSpaceType).orElse(null);
            if (space != null && space != SpaceType.UNDEFINED) {
                float high = space == SpaceType.INNER_PRODUCT ? 2 : 1;
                return new ScoreRange(randomScore(context.getMapperService().documentMapper(), field), high);
            }
        }
        return ScoreRange.NONE;
    }

    private static float randomScore(DocumentMapper mapping, String field) {
        Object found = mapping == null ? null : mapping.meta();
        for (String key : new String[] { "mmsearch", RANDOM_SCORES, field }) {
            found = found instanceof Map<?, ?> map ? map.get(key) : null;
        }
        float score = found instanceof Number number ? number.floatValue() : 0;
        return score >= 0 && score < 1 ? score : 0;
    }
}
