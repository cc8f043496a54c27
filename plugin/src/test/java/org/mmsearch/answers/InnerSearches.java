package org.mmsearch.answers;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.Supplier;

import org.opensearch.action.ActionRequest;
import org.opensearch.action.ActionRequestValidationException;
import org.opensearch.action.ActionType;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.support.ActionFilters;
import org.opensearch.action.support.HandledTransportAction;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.node.DiscoveryNodes;
import org.opensearch.common.inject.Inject;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.IndexScopedSettings;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.settings.SettingsFilter;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.action.ActionResponse;
import org.opensearch.core.common.bytes.BytesArray;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.plugins.ActionPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.rest.BaseRestHandler;
import org.opensearch.rest.BytesRestResponse;
import org.opensearch.rest.RestController;
import org.opensearch.rest.RestHandler;
import org.opensearch.rest.RestRequest;
import org.opensearch.tasks.Task;
import org.opensearch.transport.TransportService;
import org.opensearch.transport.client.Client;
import org.opensearch.transport.client.node.NodeClient;

/** A test plugin with a REST handler that runs a search directly and one whose action runs a search. */
public final class InnerSearches extends Plugin implements ActionPlugin {

    private static final ActionType<SearchResponse> ACTION = new ActionType<>("cluster:monitor/inner_search", SearchResponse::new);

    @Override
    public List<RestHandler> getRestHandlers(
        Settings settings,
        RestController controller,
        ClusterSettings clusterSettings,
        IndexScopedSettings indexScopedSettings,
        SettingsFilter settingsFilter,
        IndexNameExpressionResolver resolver,
        Supplier<DiscoveryNodes> nodes
    ) {
        return List.of(new Handler("/_inner_search", false), new Handler("/_inner_action", true));
    }

    @Override
    public List<ActionHandler<? extends ActionRequest, ? extends ActionResponse>> getActions() {
        return List.of(new ActionHandler<>(ACTION, Searching.class));
    }

    private static final class Handler extends BaseRestHandler {
        private final String path;
        private final boolean byAction;

        Handler(String path, boolean byAction) {
            this.path = path;
            this.byAction = byAction;
        }

        @Override
        public String getName() {
            return path;
        }

        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, path));
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
            return channel -> {
                ActionListener<SearchResponse> listener = ActionListener.wrap(
                    response -> channel.sendResponse(
                        new BytesRestResponse(
                            RestStatus.OK,
                            "text/plain",
                            new BytesArray(response.getHits().getAt(0).getSourceAsString().getBytes(StandardCharsets.UTF_8))
                        )
                    ),
                    e -> channel.sendResponse(new BytesRestResponse(RestStatus.INTERNAL_SERVER_ERROR, e.toString()))
                );
                if (byAction) {
                    client.execute(ACTION, new Asked(), listener);
                } else {
                    client.search(new SearchRequest("products"), listener);
                }
            };
        }
    }

    /** An empty request. */
    public static final class Asked extends ActionRequest {
        Asked() {}

        Asked(StreamInput in) throws IOException {
            super(in);
        }

        @Override
        public ActionRequestValidationException validate() {
            return null;
        }
    }

    /** Runs the search. */
    public static final class Searching extends HandledTransportAction<Asked, SearchResponse> {
        private final Client client;

        /** Called by Guice. */
        @Inject
        public Searching(TransportService transport, ActionFilters filters, Client client) {
            super(ACTION.name(), transport, filters, Asked::new);
            this.client = client;
        }

        @Override
        protected void doExecute(Task task, Asked request, ActionListener<SearchResponse> listener) {
            client.search(new SearchRequest("products"), listener);
        }
    }
}
