package org.mmsearch.neural;

import java.util.LinkedHashMap;
import java.util.Map;

import org.apache.lucene.search.BooleanClause;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;
import org.opensearch.ingest.ConfigurationUtils;
import org.opensearch.search.pipeline.AbstractProcessor;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.SearchRequestProcessor;

/**
 * The search-pipeline processor {@code neural_query_enricher}. It sets the model of {@code neural} clauses without one, by field or by
 * default.
 */
public final class NeuralQueryEnricher extends AbstractProcessor implements SearchRequestProcessor {

    /** The processor's type. */
    public static final String TYPE = "neural_query_enricher";

    private static final String DEFAULT_MODEL_ID = "default_model_id";
    private static final String NEURAL_FIELD_DEFAULT_ID = "neural_field_default_id";

    private final String defaultModelId;
    private final Map<String, String> byField;

    private NeuralQueryEnricher(
        String tag,
        String description,
        boolean ignoreFailure,
        String defaultModelId,
        Map<String, String> byField
    ) {
        super(tag, description, ignoreFailure);
        this.defaultModelId = defaultModelId;
        this.byField = byField;
    }

    /** Returns the factory. The definition requires at least one of the two keys. */
    public static Processor.Factory<SearchRequestProcessor> factory() {
        return (factories, tag, description, ignoreFailure, config, context) -> {
            String defaultModelId = ConfigurationUtils.readOptionalStringProperty(TYPE, tag, config, DEFAULT_MODEL_ID);
            Map<String, Object> fields = ConfigurationUtils.readOptionalMap(TYPE, tag, config, NEURAL_FIELD_DEFAULT_ID);
            if (defaultModelId == null && fields == null) {
                throw new IllegalArgumentException(
                    "[" + TYPE + "] requires " + DEFAULT_MODEL_ID + " or " + NEURAL_FIELD_DEFAULT_ID + ", none specified"
                );
            }
            Map<String, String> byField = new LinkedHashMap<>();
            if (fields != null) {
                fields.forEach((field, modelId) -> byField.put(field, String.valueOf(modelId)));
            }
            return new NeuralQueryEnricher(tag, description, ignoreFailure, defaultModelId, Map.copyOf(byField));
        };
    }

    @Override
    public SearchRequest processRequest(SearchRequest request) {
        if (request.source() != null && request.source().query() != null) {
            request.source().query().visit(new Visitor());
        }
        return request;
    }

    @Override
    public String getType() {
        return TYPE;
    }

    private final class Visitor implements QueryBuilderVisitor {

        @Override
        public void accept(QueryBuilder query) {
            if (query instanceof NeuralQueryBuilder neural) {
                neural.defaultModelId(byField.getOrDefault(neural.fieldName(), defaultModelId));
            }
        }

        @Override
        public QueryBuilderVisitor getChildVisitor(BooleanClause.Occur occur) {
            return this;
        }
    }
}
