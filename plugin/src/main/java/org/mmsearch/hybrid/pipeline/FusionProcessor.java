package org.mmsearch.hybrid.pipeline;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

import org.mmsearch.fusion.Combination;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.fusion.FusionParser;
import org.mmsearch.fusion.Normalization;
import org.opensearch.action.search.SearchPhaseContext;
import org.opensearch.action.search.SearchPhaseName;
import org.opensearch.action.search.SearchPhaseResults;
import org.opensearch.search.SearchPhaseResult;
import org.opensearch.search.pipeline.AbstractProcessor;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.SearchPhaseResultsProcessor;

/**
 * OpenSearch's search-pipeline processor that defines a fusion. It does not change results: a hybrid reads the definition during its
 * rewrite, before its legs run.
 */
public final class FusionProcessor extends AbstractProcessor implements SearchPhaseResultsProcessor {

    static final String NORMALIZATION = "normalization-processor";
    static final String SCORE_RANKER = "score-ranker-processor";
    /** The processor types. */
    public static final Set<String> TYPES = Set.of(NORMALIZATION, SCORE_RANKER);

    private final String type;

    private FusionProcessor(String type, String tag, String description, boolean ignoreFailure) {
        super(tag, description, ignoreFailure);
        this.type = type;
    }

    /**
     * Returns the factory.
     *
     * @param type one of {@link #TYPES}
     * @param inline receives the fusion of a pipeline that is defined in a request
     */
    public static Processor.Factory<SearchPhaseResultsProcessor> factory(String type, Consumer<Fusion> inline) {
        return (factories, tag, description, ignoreFailure, config, context) -> {
            Fusion fusion = fusion(type, config);
            config.clear();
            if (context.getPipelineSource() == Processor.PipelineSource.SEARCH_REQUEST) {
                inline.accept(fusion);
            }
            return new FusionProcessor(type, tag, description, ignoreFailure);
        };
    }

    /** Parses the fusion of a processor definition. */
    static Fusion fusion(String type, Map<String, Object> config) {
        boolean ranks = type.equals(SCORE_RANKER);
        Map<String, Object> definition = new LinkedHashMap<>(config);
        if (ranks && definition.containsKey("combination") == false) {
            definition.put("combination", Map.of("technique", Combination.RRF.technique()));
        }
        Fusion fusion = FusionParser.parse(definition, Normalization.MIN_MAX);
        if (ranks != (fusion.combination() == Combination.RRF)) {
            throw new IllegalArgumentException(
                "[" + type + "] does not combine by [" + fusion.combination().technique() + "]: use "
                    + (ranks ? NORMALIZATION : SCORE_RANKER)
            );
        }
        return fusion;
    }

    /**
     * Returns the fusion that a pipeline defines, or null.
     *
     * @throws IllegalArgumentException if it defines several
     */
    static Fusion ofPipeline(Map<String, Object> pipeline) {
        Fusion found = null;
        if (pipeline.get("phase_results_processors") instanceof List<?> processors) {
            for (Object processor : processors) {
                for (String type : TYPES) {
                    if (processor instanceof Map<?, ?> named && named.get(type) instanceof Map<?, ?> config) {
                        if (found != null) {
                            throw new IllegalArgumentException("expected one fusion in a search pipeline, got two: leave one out");
                        }
                        Map<String, Object> definition = new LinkedHashMap<>();
                        config.forEach((key, value) -> definition.put(String.valueOf(key), value));
                        found = fusion(type, definition);
                    }
                }
            }
        }
        return found;
    }

    @Override
    public <Result extends SearchPhaseResult> void process(SearchPhaseResults<Result> results, SearchPhaseContext context) {
        // The results are already fused.
    }

    @Override
    public SearchPhaseName getBeforePhase() {
        return SearchPhaseName.QUERY;
    }

    @Override
    public SearchPhaseName getAfterPhase() {
        return SearchPhaseName.FETCH;
    }

    @Override
    public String getType() {
        return type;
    }
}
