# Preview: the project on this machine, deployed by Terraform as it would be elsewhere, so that the whole way can be tried at once.
# No provider is downloaded: terraform_data comes with Terraform and OpenTofu. Change it as you like; `sabir deploy plan --env preview`
# shows what that does.

terraform {
  # terraform_data came with 1.4.
  required_version = ">= 1.4"

  # `sabir deploy` fills in where the state is.
  backend "local" {}
}

locals {
  # What start.sh wrote about the process that serves, and what the kernel says of it: its state and when it began.
  current = try(jsondecode(file("${var.folder}/run/current.json")), { instance = "", generation = "", pid = 0, started = "", release = "" })
  process = try(regex("\\) ([A-Z]) (?:\\S+ ){18}(\\S+)", file("/proc/${local.current.pid}/stat")), ["Z", ""])
  alive   = local.current.pid != 0 && local.process[0] != "Z" && local.process[1] == local.current.started

  # Stays while the process lives. When it is gone, a new one makes Terraform replace the server.
  generation = local.alive ? local.current.generation : var.restart
}

resource "terraform_data" "server" {
  triggers_replace = {
    release    = var.release
    bundle     = var.bundle_hash
    engine     = var.engine_hash
    port       = var.port
    generation = local.generation
  }

  input = {
    instance   = var.restart
    generation = local.generation
    folder     = var.folder
  }

  lifecycle {
    # The new server takes the socket over before the old one ends: no request fails.
    create_before_destroy = true
    # The name of an instance is new each time, which alone changes nothing.
    ignore_changes = [input]
  }

  provisioner "local-exec" {
    command = "sh '${path.module}/start.sh'"
    environment = {
      FOLDER       = self.input.folder
      INSTANCE     = self.input.instance
      GENERATION   = self.input.generation
      RELEASE      = var.release
      BUNDLE       = var.bundle
      BUNDLE_HASH  = var.bundle_hash
      ENGINE       = var.engine
      ENGINE_HASH  = var.engine_hash
      ENVIRONMENT  = var.environment
      PORT         = var.port
      SECRETS_FILE = var.secrets_file
      SECONDS_MOST = var.start_seconds
    }
  }

  provisioner "local-exec" {
    when    = destroy
    command = "sh '${path.module}/stop.sh'"
    environment = {
      FOLDER   = self.input.folder
      INSTANCE = self.input.instance
    }
  }
}
