package org.mmsearch.hybrid.pipeline;

import java.util.Map;
import java.util.TreeMap;

import org.mmsearch.fusion.Fusion;
import org.mmsearch.hybrid.search.SearchNotes;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.core.index.Index;
import org.opensearch.index.IndexSettings;
import org.opensearch.search.pipeline.PipelineConfiguration;
import org.opensearch.search.pipeline.SearchPipelineMetadata;
import org.opensearch.search.pipeline.SearchPipelineService;

/** The fusion that the search pipeline of a request names: the request's own, the one it calls by name, or its indices' default. */
public final class PipelineFusion {

    private final String clause;
    private final ClusterState state;

    /**
     * @param clause the hybrid's name
     * @param state of the cluster
     */
    public PipelineFusion(String clause, ClusterState state) {
        this.clause = clause;
        this.state = state;
    }

    /**
     * @param request that the hybrid stands in
     * @param search what is known of the search, or null outside one
     * @param indices that the request goes to
     * @return the fusion, or null when no pipeline names one
     */
    public Fusion of(SearchRequest request, SearchNotes search, Index[] indices) {
        if (search != null && search.inlineFusion() != null) {
            return search.inlineFusion();
        }
        if (request.source() != null && request.source().searchPipelineSource() != null) {
            return null;
        }
        return named(search == null || search.pipeline() == null ? ofIndices(indices) : search.pipeline());
    }

    private String ofIndices(Index[] indices) {
        Map<String, String> indexOf = new TreeMap<>();
        for (Index index : indices) {
            IndexMetadata metadata = state.metadata().index(index);
            if (metadata != null && IndexSettings.DEFAULT_SEARCH_PIPELINE.exists(metadata.getSettings())) {
                indexOf.putIfAbsent(IndexSettings.DEFAULT_SEARCH_PIPELINE.get(metadata.getSettings()), index.getName());
            }
        }
        if (indexOf.size() > 1) {
            throw new IllegalArgumentException(
                "[" + clause + "] expected its indices to agree on their default search pipeline, got " + indexOf
                    + ": name one in the request, or give the clause a [fusion]"
            );
        }
        return indexOf.isEmpty() ? SearchPipelineService.NOOP_PIPELINE_ID : indexOf.keySet().iterator().next();
    }

    private Fusion named(String id) {
        SearchPipelineMetadata pipelines = state.metadata().custom(SearchPipelineMetadata.TYPE);
        PipelineConfiguration pipeline = pipelines == null ? null : pipelines.getPipelines().get(id);
        return pipeline == null ? null : FusionProcessor.ofPipeline(pipeline.getConfigAsMap());
    }
}
