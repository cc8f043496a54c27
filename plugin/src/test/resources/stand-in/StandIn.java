package standin;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.lucene.search.MatchAllDocsQuery;
import org.apache.lucene.search.Query;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.SearchPipelinePlugin;
import org.opensearch.plugins.SearchPlugin;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.SearchPhaseResultsProcessor;
import org.opensearch.search.pipeline.SearchRequestProcessor;
import org.opensearch.search.pipeline.SearchResponseProcessor;

/** Registers every name of the official plugin that mmsearch would register too. */
public final class StandIn extends Plugin implements SearchPlugin, SearchPipelinePlugin {

    @Override
    public List<QuerySpec<?>> getQueries() {
        return List.of(
            new QuerySpec<>("neural", in -> new StandInQuery("neural", in), parser -> StandInQuery.parse("neural", parser)),
            new QuerySpec<>("hybrid", in -> new StandInQuery("hybrid", in), parser -> StandInQuery.parse("hybrid", parser))
        );
    }

    private static <T extends Processor> Map<String, Processor.Factory<T>> refusing(String... names) {
        Map<String, Processor.Factory<T>> factories = new HashMap<>();
        for (String name : names) {
            factories.put(name, (others, tag, description, ignoreFailure, config, context) -> {
                throw new IllegalArgumentException("the stand-in's " + name);
            });
        }
        return factories;
    }

    @Override
    public Map<String, Processor.Factory<SearchRequestProcessor>> getRequestProcessors(Parameters parameters) {
        return refusing("neural_query_enricher");
    }

    @Override
    public Map<String, Processor.Factory<SearchResponseProcessor>> getResponseProcessors(Parameters parameters) {
        return refusing("hybrid_score_explanation");
    }

    @Override
    public Map<String, Processor.Factory<SearchPhaseResultsProcessor>> getSearchPhaseResultsProcessors(Parameters parameters) {
        return refusing("normalization-processor", "score-ranker-processor");
    }

    /** A query of the stand-in: it matches everything. */
    static final class StandInQuery extends AbstractQueryBuilder<StandInQuery> {

        private final String name;

        StandInQuery(String name) {
            this.name = name;
        }

        StandInQuery(String name, StreamInput in) throws IOException {
            super(in);
            this.name = name;
        }

        static StandInQuery parse(String name, XContentParser parser) throws IOException {
            parser.skipChildren();
            while (parser.currentToken() != XContentParser.Token.END_OBJECT) {
                parser.nextToken();
            }
            return new StandInQuery(name);
        }

        @Override
        protected void doWriteTo(StreamOutput out) {
            // The name is all there is.
        }

        @Override
        protected void doXContent(XContentBuilder builder, Params params) throws IOException {
            builder.startObject(name).endObject();
        }

        @Override
        protected Query doToQuery(QueryShardContext context) {
            return new MatchAllDocsQuery();
        }

        @Override
        protected boolean doEquals(StandInQuery other) {
            return name.equals(other.name);
        }

        @Override
        protected int doHashCode() {
            return name.hashCode();
        }

        @Override
        public String getWriteableName() {
            return name;
        }
    }
}
