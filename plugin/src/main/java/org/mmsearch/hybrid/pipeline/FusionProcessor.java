package org.mmsearch.hybrid.pipeline;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

import org.mmsearch.fusion.Combination;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.fusion.FusionParser;
import org.opensearch.action.search.SearchPhaseContext;
import org.opensearch.action.search.SearchPhaseName;
import org.opensearch.action.search.SearchPhaseResults;
import org.opensearch.search.SearchPhaseResult;
import org.opensearch.search.pipeline.AbstractProcessor;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.SearchPhaseResultsProcessor;

/**
 * A classic search-pipeline processor that names a fusion. It changes no results: a hybrid reads the definition when it is rewritten,
 * before anything runs.
 */
public final class FusionProcessor extends AbstractProcessor implements SearchPhaseResultsProcessor {

    static final String NORMALIZATION = "normalization-processor";
    static final String SCORE_RANKER = "score-ranker-processor";
    /** The names it goes by. */
    public static final Set<String> TYPES = Set.of(NORMALIZATION, SCORE_RANKER);

    private final String type;

    private FusionProcessor(String type, String tag, String description, boolean ignoreFailure) {
        super(tag, description, ignoreFailure);
        this.type = type;
    }

    /**
     * @param type one of {@link #TYPES}
     * @param inline is given the fusion of a pipeline that stands in a request
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

    /** What a definition says. */
    static Fusion fusion(String type, Map<String, Object> config) {
        boolean ranks = type.equals(SCORE_RANKER);
        Map<String, Object> definition = new LinkedHashMap<>(config);
        if (ranks && definition.containsKey("combination") == false) {
            definition.put("combination", Map.of("technique", Combination.RRF.technique()));
        }
        Fusion fusion = FusionParser.parse(definition);
        if (ranks != (fusion.combination() == Combination.RRF)) {
            throw new IllegalArgumentException(
                "[" + type + "] does not combine by [" + fusion.combination().technique() + "]: use "
                    + (ranks ? NORMALIZATION : SCORE_RANKER)
            );
        }
        return fusion;
    }

    /** The fusion that a pipeline's definition names, or null. */
    static Fusion ofPipeline(Map<String, Object> pipeline) {
        Fusion found = null;
        if (pipeline.get("phase_results_processors") instanceof List<?> processors) {
            for (Object processor : processors) {
                for (String type : TYPES) {
                    if (processor instanceof Map<?, ?> named && named.get(type) instanceof Map<?, ?> config) {
                        if (found != null) {
                            throw new IllegalArgumentException("a search pipeline names one fusion, got two: leave one out");
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
        // The results are fused already.
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
