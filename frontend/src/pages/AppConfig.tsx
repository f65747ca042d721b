/** The app's entry under "Plugins": there is nothing to set here, so it says where things are set. */
import { config } from '@grafana/runtime';
import { Alert, TextLink } from '@grafana/ui';

import { APP_ID, FLEET_TYPE } from '../datasource/types';

export function AppConfig() {
  return (
    <Alert severity="info" title="The app itself has no settings">
      Nodes, token and limits belong to a data source of the type “Podscope fleet”:{' '}
      <TextLink inline href={`${config.appSubUrl}/connections/datasources/${FLEET_TYPE}`}>
        add one
      </TextLink>{' '}
      or open the{' '}
      <TextLink inline href={`${config.appSubUrl}/a/${APP_ID}`}>
        Podscope page
      </TextLink>
      , which shows what is connected.
    </Alert>
  );
}
