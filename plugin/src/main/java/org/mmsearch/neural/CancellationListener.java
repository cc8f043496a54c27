package org.mmsearch.neural;

import org.opensearch.common.inject.Inject;
import org.opensearch.common.lifecycle.AbstractLifecycleComponent;
import org.opensearch.transport.TransportService;

/** Connects {@link SearchScope} to the node's task manager, which only the injector gives out. */
public final class CancellationListener extends AbstractLifecycleComponent {

    private final TransportService transport;
    private final SearchScope scope;

    /** Called by the injector. */
    @Inject
    public CancellationListener(TransportService transport, SearchScope scope) {
        this.transport = transport;
        this.scope = scope;
    }

    @Override
    protected void doStart() {
        transport.getTaskManager().addTaskEventListeners(scope);
    }

    @Override
    protected void doStop() {}

    @Override
    protected void doClose() {}
}
